//! TPC-H at scale 0.01 through the `tpch` program: 22 right answers, then again after a restart.

#![allow(clippy::unwrap_used)]

use std::process::Command;

use tests::Server;

#[tokio::test]
async fn the_22_answers_are_right_before_and_after_a_restart() {
    let tpch = tests::build("tpch", "tpch");
    let mut server = Server::start().await;
    let run = |server: &Server, option: &str| {
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port());
        let arguments = ["--scale", "0.01", "--url", &url, "--keep", option];
        let output = Command::new(&tpch).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{complaints}\n{text}");
        assert_eq!(text.lines().filter(|line| line.ends_with("  ok")).count(), 22, "{text}");
    };
    run(&server, "--replace");
    server.kill();
    server.restart().await;
    run(&server, "--no-load");
}
