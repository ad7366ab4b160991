//! TPC-C through the `tpcc` program: its conditions hold, also after kill -9 under load, and can fail.
//!
//! `CAIRN_TPCC_SECONDS=60` runs the full population that long instead of the tiny one for a few seconds.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::{Command, Output};

use tests::Server;

fn run(tpcc: &Path, arguments: &[&str]) -> (Output, String) {
    let output = Command::new(tpcc).args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (output, text)
}

fn assert_success(output: &Output, text: &str) {
    assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
}

/// Of the condition lines, how many say that it holds.
fn holding(text: &str) -> usize {
    text.lines().filter(|line| line.split_whitespace().nth(1) == Some("ok")).count()
}

#[test]
fn nothing_acknowledged_is_lost_in_a_kill_and_all_conditions_hold() {
    let tpcc = tests::build("tpcc", "tpcc");
    let server = tests::binary().to_str().unwrap();
    for isolation in ["read-committed", "repeatable-read", "serializable"] {
        let mut arguments = vec!["--server", server, "--clients", "4", "--isolation", isolation];
        let seconds = std::env::var("CAIRN_TPCC_SECONDS");
        match &seconds {
            Ok(seconds) => arguments.extend(["--duration", seconds, "--kill-after", "10"]),
            Err(_) => arguments.extend([
                "--tiny",
                "--warmup",
                "0",
                "--duration",
                "3",
                "--kill-after",
                "2",
                "--foreign-keys",
            ]),
        }
        let (output, text) = run(&tpcc, &arguments);
        assert_success(&output, &text);
        // Twelve after the load, eleven after the kill, eleven at the end.
        assert_eq!(holding(&text), 12 + 11 + 11, "{text}");
        assert_eq!(text.matches("acknowledged: ok").count(), 2, "{text}");
        println!("{text}");
    }
}

/// A change, what takes it back, and the conditions that are violated in between.
const CORRUPTIONS: [(&str, &str, &[usize]); 12] = [
    (
        "update warehouse set w_ytd = w_ytd + 0.01 where w_id = 1",
        "update warehouse set w_ytd = w_ytd - 0.01 where w_id = 1",
        &[1, 8],
    ),
    (
        "update district set d_next_o_id = 62 where d_w_id = 1 and d_id = 4",
        "update district set d_next_o_id = 61 where d_w_id = 1 and d_id = 4",
        &[2],
    ),
    (
        "update new_order set no_o_id = -50 where no_d_id = 5 and no_o_id = 50",
        "update new_order set no_o_id = 50 where no_o_id = -50",
        &[3, 5],
    ),
    (
        "update order_line set ol_d_id = -3 where ol_d_id = 3 and ol_o_id = 7 and ol_number = 2",
        "update order_line set ol_d_id = 3 where ol_d_id = -3",
        &[4, 6, 7],
    ),
    (
        "update orders set o_carrier_id = 3 where o_d_id = 2 and o_id = 60",
        "update orders set o_carrier_id = null where o_d_id = 2 and o_id = 60",
        &[5, 7],
    ),
    (
        "update orders set o_ol_cnt = o_ol_cnt + 1 where o_d_id = 10 and o_id = 1",
        "update orders set o_ol_cnt = o_ol_cnt - 1 where o_d_id = 10 and o_id = 1",
        &[4, 6],
    ),
    (
        "update order_line set ol_delivery_d = null where ol_d_id = 1 and ol_o_id = 1 and ol_number = 1",
        "update order_line set ol_delivery_d = now() where ol_d_id = 1 and ol_o_id = 1 and ol_number = 1",
        &[7],
    ),
    (
        "update history set h_w_id = -1 where h_d_id = 6 and h_c_id = 17",
        "update history set h_w_id = 1 where h_w_id = -1",
        &[8, 9],
    ),
    (
        "update district set d_ytd = d_ytd - 1 where d_id = 8",
        "update district set d_ytd = d_ytd + 1 where d_id = 8",
        &[1, 9],
    ),
    (
        "update customer set c_balance = c_balance + 1 where c_d_id = 9 and c_id = 1",
        "update customer set c_balance = c_balance - 1 where c_d_id = 9 and c_id = 1",
        &[10, 12],
    ),
    (
        "update new_order set no_d_id = -7 where no_d_id = 7 and no_o_id = 43",
        "update new_order set no_d_id = 7 where no_d_id = -7",
        &[5, 11],
    ),
    (
        "update customer set c_ytd_payment = c_ytd_payment + 1 where c_d_id = 9 and c_id = 2",
        "update customer set c_ytd_payment = c_ytd_payment - 1 where c_d_id = 9 and c_id = 2",
        &[12],
    ),
];

/// A check that cannot fail is none.
#[tokio::test]
async fn every_condition_can_fail() {
    let tpcc = tests::build("tpcc", "tpcc");
    let server = Server::start().await;
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port());
    let (output, text) = run(&tpcc, &["--url", &url, "--tiny", "--duration", "0", "--keep"]);
    assert_success(&output, &text);

    let client = server.client().await;
    let check = ["--url", &url, "--tiny", "--check-only", "--fresh"];
    for (corruption, repair, violated) in CORRUPTIONS {
        assert_eq!(client.execute(corruption, &[]).await.unwrap(), 1, "{corruption}");
        let (output, text) = run(&tpcc, &check);
        assert_eq!(output.status.code(), Some(1), "{corruption}\n{text}");
        let named: Vec<usize> = text
            .lines()
            .filter_map(|line| line.split_once(" VIOLATED "))
            .map(|(number, _)| number.trim().parse().unwrap())
            .collect();
        assert_eq!(named, violated, "{corruption}\n{text}");
        assert_eq!(holding(&text), 12 - violated.len(), "{text}");
        assert_eq!(client.execute(repair, &[]).await.unwrap(), 1, "{repair}");
    }
    let (output, text) = run(&tpcc, &check);
    assert_success(&output, &text);
    assert_eq!(holding(&text), 12, "{text}");
}
