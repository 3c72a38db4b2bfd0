//! Bytes as a program of several threads. Every byte string is a program, and a small change makes a similar one: what a fuzzer
//! needs. The same entry for the fuzz target (`fuzz/`) and the test `play`, which replays the corpus.
//!
//! ```text
//!   settings │ thread, steps, their decisions │ thread, steps, their decisions │ ..        one after the other, or
//!   settings │ decisions of thread 0 │ of thread 1 │ of thread 2 │ of thread 3              all at once, exchanging blocks
//! ```
//! One after the other the threads work on one shadow, so blocks pass from any to any, and a program does the same each
//! time. At the end all threads have ended and all is freed, so one program leaves little to the next.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use cairn_alloc::settings::{DECAY_MS, THREAD_KIB};

use super::door::{Door, ENGINE};
use super::{Live, Random, Shadow, expect_counted, expect_whole, steps};

/// The thread that plays, and three more.
const THREADS: usize = 4;
/// After so many programs the engine's count of live blocks is compared (it costs more than a short program).
const COUNT_EVERY: usize = 16;

/// Runs the program.
pub fn play(bytes: &[u8], door: &'static Door) {
    static PLAYED: AtomicUsize = AtomicUsize::new(0);
    let Some((&settings, rest)) = bytes.split_first() else { return };
    DECAY_MS.set(if settings & 1 == 0 { 500 } else { 0 });
    THREAD_KIB.set([2048, 16, 0, 64][usize::from(settings >> 1 & 3)]);
    let counted = PLAYED.fetch_add(1, Relaxed).is_multiple_of(COUNT_EVERY);
    if settings >> 3 & 7 == 7 {
        at_once(rest, door)
    } else {
        in_turns(rest, door, counted)
    }
    (door.trim)(0);
    if counted {
        expect_whole();
        expect_counted([].iter());
    }
}

fn shadow(door: &'static Door, blocks: Vec<Live>) -> Shadow {
    let mut shadow = Shadow::with(door, blocks);
    (shadow.log2_max, shadow.bytes_max) = (22, 16 << 20);
    shadow
}

/// What goes from thread to thread.
struct Game {
    shadow: Shadow,
    random: Random,
}

impl Game {
    fn turn(&mut self, steps: u64) {
        for _ in 0..steps {
            if !self.random.is_used_up() {
                self.shadow.step(&mut self.random);
            }
        }
    }
}

/// A thread that waits for its turn: it gets the game and gives it back.
struct Player {
    send: mpsc::Sender<(Game, u64)>,
    receive: mpsc::Receiver<Game>,
    thread: JoinHandle<()>,
}

impl Player {
    fn new() -> Self {
        let (send, games) = mpsc::channel::<(Game, u64)>();
        let (back, receive) = mpsc::channel();
        let thread = thread::spawn(move || {
            for (mut game, steps) in games {
                game.turn(steps);
                if back.send(game).is_err() {
                    return;
                }
            }
        });
        Player { send, receive, thread }
    }

    fn turn(&self, game: Game, steps: u64) -> Game {
        self.send.send((game, steps)).expect("the thread waits for its turn");
        self.receive.recv().expect("no step fails")
    }

    /// It has ended, with all that the C library does for a thread that ends.
    fn end(self) {
        drop(self.send);
        self.thread.join().expect("no step fails");
    }
}

fn in_turns(bytes: &[u8], door: &'static Door, counted: bool) {
    let mut game = Game { shadow: shadow(door, Vec::new()), random: Random::from_bytes(bytes.to_vec()) };
    let mut players: [Option<Player>; THREADS - 1] = Default::default();
    while !game.random.is_used_up() {
        let (who, steps) = (game.random.below(2 * THREADS as u64), 1 + game.random.below(24));
        match who as usize {
            // Half of the time the one that plays: a change of threads costs more than a step.
            0 | THREADS.. => game.turn(steps),
            // Now and then a thread ends; its next turn is another's first.
            who if steps == 24 => {
                if let Some(player) = players[who - 1].take() {
                    player.end();
                }
            }
            who => game = players[who - 1].get_or_insert_with(Player::new).turn(game, steps),
        }
    }
    // They wait, so the count is exact, whatever they hold.
    if counted {
        expect_whole();
        expect_counted(game.shadow.blocks());
    }
    players.into_iter().flatten().for_each(Player::end);
    game.shadow.clear(&mut game.random);
}

/// The threads run freely. A block that a thread gives away may come to any other.
fn at_once(bytes: &[u8], door: &'static Door) {
    let exchange: Arc<Mutex<Vec<Live>>> = Arc::default();
    let run = |part: &[u8]| {
        let (mut random, exchange) = (Random::from_bytes(part.to_vec()), exchange.clone());
        move || {
            let mut shadow = shadow(door, Vec::new());
            shadow.in_company = true;
            while !random.is_used_up() {
                match random.below(8) {
                    0 => exchange.lock().expect("no step fails").extend(shadow.take(&mut random)),
                    1 => {
                        let given = exchange.lock().expect("no step fails").pop();
                        given.into_iter().for_each(|live| shadow.take_in(live));
                    }
                    _ => shadow.step(&mut random),
                }
            }
            shadow.into_blocks()
        }
    };
    let part = bytes.len().div_ceil(THREADS).max(1);
    let threads: Vec<_> = bytes.chunks(part).map(|part| thread::spawn(run(part))).collect();
    let ended = threads.into_iter().flat_map(|thread| thread.join().expect("no step fails"));
    // What is left of all must not overlap either.
    let mut all = shadow(door, ended.collect());
    let given = std::mem::take(&mut *exchange.lock().expect("no step fails"));
    given.into_iter().for_each(|live| all.take_in(live));
    all.clear(&mut Random::from_bytes(Vec::new()));
}

/// Plays byte strings that nobody steers, on the engine.
pub fn random_programs(count: usize) {
    let mut random = Random::from_seed(1);
    for _ in 0..count {
        let bytes: Vec<u8> = (0..random.below(2000)).map(|_| random.below(256) as u8).collect();
        play(&bytes, &ENGINE);
    }
}

/// Plays the fuzz target's corpus, on the engine; under an emulator a tenth of it.
pub fn corpus() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/doors");
    let mut count = 0;
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    for entry in entries.step_by(10 / steps(10)) {
        let path = entry.expect("the corpus can be listed").path();
        play(&std::fs::read(&path).expect("an input can be read"), &ENGINE);
        count += 1;
    }
    assert!(count > 0, "no input in {}", dir.display());
}
