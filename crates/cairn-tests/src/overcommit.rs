//! Strict overcommit for the time of a test, and the old mode afterwards, whatever happens to the test.

use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

const MODE: &str = "/proc/sys/vm/overcommit_memory";

/// While it lives the kernel hands out no more memory than it has (mode 2).
///
/// A shell in a session of its own waits for this process to let go of a pipe, and then restores the mode; so a
/// test that is killed leaves the machine as it was.
#[derive(Debug)]
pub struct Strict {
    keeper: Child,
}

impl Strict {
    /// Switches to strict mode; a sentence that says why not, otherwise.
    pub fn begin() -> Result<Strict, String> {
        let old = fs::read_to_string(MODE).map_err(|e| format!("cannot read {MODE}: {e}"))?;
        if let Err(e) = fs::OpenOptions::new().write(true).open(MODE) {
            return Err(format!("strict overcommit cannot be set: {MODE}: {e} (run as root)"));
        }
        let room = room_kib();
        if room < 3 << 20 {
            return Err(format!(
                "strict overcommit would leave this machine {} MiB; 3 GiB are wanted",
                room >> 10
            ));
        }
        let mut shell = Command::new("sh");
        shell
            .args(["-c", "read end; printf %s \"$1\" > \"$2\"", "sh", old.trim(), MODE])
            .stdin(Stdio::piped());
        // SAFETY: between fork and exec only `setsid`, which is async-signal-safe, is called.
        unsafe {
            shell.pre_exec(|| {
                libc::setsid();
                Ok(())
            });
        }
        let keeper = shell.spawn().map_err(|e| format!("cannot start sh: {e}"))?;
        let strict = Strict { keeper };
        fs::write(MODE, "2").map_err(|e| format!("cannot write {MODE}: {e}"))?;
        Ok(strict)
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        // The keeper restores the mode when it reads a line or the end of its input.
        if let Some(mut end) = self.keeper.stdin.take() {
            let _ = end.write_all(b"\n");
        }
        let _ = self.keeper.wait();
    }
}

/// How much the kernel would still hand out in strict mode, in KiB; negative if too much is promised already.
fn room_kib() -> i64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = |name: &str| {
        let rest = text.lines().find_map(|line| line.strip_prefix(name));
        rest.and_then(|rest| rest.trim().trim_end_matches(" kB").trim().parse::<i64>().ok()).unwrap_or(0)
    };
    line("CommitLimit:") - line("Committed_AS:")
}
