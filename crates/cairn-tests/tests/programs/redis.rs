//! Claim: redis-server answers a fixed conversation alike, serves redis-benchmark without an error, and keeps its
//! data in the same dump.

use cairn_tests::command::{self, Finished};
use cairn_tests::scratch::Scratch;
use cairn_tests::{compile, library, programs};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that is stopped when the test is over, however it ends.
struct Server {
    child: Child,
    port: u16,
    scratch: Scratch,
}

impl Server {
    fn start(server: &Path, witness: &Path, preload: Option<&Path>) -> Server {
        let scratch = Scratch::new("redis");
        // Free now and, the tests being short of neighbours, a moment later.
        let port =
            TcpListener::bind("127.0.0.1:0").expect("loopback").local_addr().expect("a bound port").port();
        let objects =
            std::env::join_paths(preload.into_iter().chain([witness])).expect("paths without a colon");
        let mut command = Command::new(server);
        let child = library::hide_test_settings(&mut command)
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .arg("--dir")
            .arg(scratch.path())
            .env("LD_PRELOAD", objects)
            .env("WITNESS_LOG", scratch.path().join("processes"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server starts");
        Server { child, port, scratch }
    }

    fn cli(&self, cli: &Path, args: &[&str]) -> Finished {
        let mut command = Command::new(cli);
        command.args(["-p", &self.port.to_string()]).args(args);
        command::run(&mut command, Duration::from_secs(60))
    }

    fn wait_until_it_answers(&mut self, cli: &Path) {
        let start = Instant::now();
        while self.cli(cli, &["PING"]).out().trim() != "PONG" {
            let ended = self.child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "redis-server ended at once: {ended:?}");
            assert!(start.elapsed() < Duration::from_secs(120), "HANG: redis-server doesn't answer");
            std::thread::sleep(Duration::from_millis(30));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The answers to a conversation, which depend on nothing but what was said before, and the digest of all data at its end.
fn converse(server: &Server, cli: &Path) -> String {
    let fill = "for i = 1, 4000 do redis.call('SET', 'key:' .. i, string.rep('v', i % 500)); \
                redis.call('HSET', 'hash:' .. (i % 50), 'f' .. i, i * 7); redis.call('RPUSH', 'list:' .. (i % 20), string.rep('x', i % 90)); \
                redis.call('ZADD', 'sorted', i * 7919 % 4001, 'm' .. i); redis.call('SADD', 'set:' .. (i % 10), 's' .. i) end return 'filled'";
    let commands: &[&[&str]] = &[
        &["FLUSHALL"],
        &["EVAL", fill, "0"],
        &["DBSIZE"],
        &["GET", "key:321"],
        &["APPEND", "key:321", "tail"],
        &["STRLEN", "key:321"],
        &["HLEN", "hash:7"],
        &["HGET", "hash:7", "f57"],
        &["LRANGE", "list:3", "0", "20"],
        &["ZRANGE", "sorted", "100", "120", "WITHSCORES"],
        &["SORT", "set:4", "ALPHA", "LIMIT", "0", "20"],
        &["SETRANGE", "big", "3000000", "end"],
        &["STRLEN", "big"],
        &[
            "EVAL",
            "for i = 1, 4000, 2 do redis.call('DEL', 'key:' .. i) end return redis.call('DBSIZE')",
            "0",
        ],
        &["BITCOUNT", "key:400"],
        &["DEBUG", "DIGEST"],
        &["NOSUCHCOMMAND"],
        &["SAVE"],
        &["DEBUG", "RELOAD"],
        &["DBSIZE"],
        &["BGSAVE"],
        &["GET", "key:2"],
        &["EVAL", "return #redis.call('KEYS', '*')", "0"],
    ];
    commands.iter().map(|command| format!("{command:?}\n{}", server.cli(cli, command).out())).collect()
}

#[test]
fn a_conversation_and_a_benchmark() {
    let wanted = ["redis-server", "redis-cli", "redis-benchmark"].map(programs::need);
    let [Some(program), Some(cli), Some(benchmark)] = wanted else { return };
    let Some(witness) = compile::shared("witness.c", &["-Wl,-z,now"]) else { return };
    let answers: Vec<String> = [None, Some(library::shared_object())]
        .into_iter()
        .map(|preload| {
            let mut server = Server::start(&program, &witness, preload);
            server.wait_until_it_answers(&cli);
            let log = std::fs::read_to_string(server.scratch.path().join("processes")).unwrap_or_default();
            let on_it = log.contains(&*library::shared_object().to_string_lossy());
            assert_eq!(on_it, preload.is_some(), "redis-server's malloc: {log}");
            let answers = converse(&server, &cli);
            run_benchmark(&server, &benchmark);
            let after = server.cli(&cli, &["PING"]).out();
            assert_eq!(after.trim(), "PONG", "redis-server is gone after the benchmark");
            answers
        })
        .collect();
    let mut lines = answers[0].lines().zip(answers[1].lines());
    let different = lines.find(|(plain, cairn)| plain != cairn);
    assert!(answers[0] == answers[1], "answers differ (without the library, on it): {different:?}");
    assert!(answers[0].contains("filled"), "the conversation did not take place:\n{}", answers[0]);
}

fn run_benchmark(server: &Server, benchmark: &PathBuf) {
    let mut command = Command::new(benchmark);
    command.args([
        "-p",
        &server.port.to_string(),
        "-q",
        "-n",
        "8000",
        "-c",
        "20",
        "-d",
        "120",
        "-r",
        "5000",
        "-P",
        "4",
    ]);
    command.args(["-t", "set,get,incr,lpush,lpop,sadd,hset,zadd,lrange_100,mset"]);
    let finished = command::run(&mut command, Duration::from_secs(120));
    finished.expect_success();
    let text = finished.out();
    assert!(text.matches("requests per second").count() >= 10, "redis-benchmark did not finish:\n{text}");
    assert!(!text.contains("Error") && !finished.err().contains("Error"), "{text}\n{}", finished.err());
}
