//! Statement and catalog in, plan out: a pure function.
