//! Where in the query text something stands.

/// A range of byte offsets into the statement's text (as the client sent it).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Span {
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(start: usize, end: usize) -> Span {
        let clip = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Span { start: clip(start), end: clip(end) }
    }

    pub fn at(start: usize) -> Span {
        Span::new(start, start)
    }

    /// The 1-based position in characters, as the wire's field `P` wants it.
    pub fn character_position(self, text: &str) -> usize {
        let end = text.len().min(self.start as usize);
        text.char_indices().take_while(|(offset, _)| *offset < end).count() + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters_not_bytes() {
        assert_eq!(Span::at(0).character_position("select"), 1);
        assert_eq!(Span::at(3).character_position("éa b"), 3);
        assert_eq!(Span::at(99).character_position("ab"), 3);
    }
}
