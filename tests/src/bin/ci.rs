//! `cargo ci`: what the continuous integration runs, in order. Stops at the first step that fails.
//!
//! Further arguments go to `cargo test`: `cargo ci -- --nocapture`, `cargo ci -p tests`.

use std::process::{Command, ExitCode};
use std::time::Instant;

const STEPS: [(&str, &[&str]); 4] = [
    ("fmt", &["fmt", "--all", "--check"]),
    ("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
    ("others", &["check", "--quiet", "-p", "storebench", "--features", "others"]),
    ("test", &["test", "--workspace"]),
];

fn main() -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let further: Vec<_> = std::env::args_os().skip(1).collect();
    for (name, arguments) in STEPS {
        println!("== cargo {}", arguments.join(" "));
        let mut command = Command::new(&cargo);
        command.current_dir(tests::root()).args(arguments);
        if name == "test" {
            command.args(&further);
        }
        let start = Instant::now();
        match command.status() {
            Ok(status) if status.success() => {
                println!("== {name}: ok, {:.0} s", start.elapsed().as_secs_f64())
            }
            Ok(status) => {
                println!("== {name}: FAILED, {status}");
                return ExitCode::FAILURE;
            }
            Err(error) => {
                println!("== {name}: cargo does not run: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}
