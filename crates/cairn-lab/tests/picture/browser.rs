//! The page in a real browser: opened from disk, without a server, and asked through its document what it shows.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use cairn_lab::history::History;
use cairn_lab::picture::html::html;

use super::toy::{self, Kind};

/// What a browser made of a page.
struct Seen {
    document: String,
    console: String,
}

impl Seen {
    /// The attributes `data-…` of the panel of a policy, or of the document itself.
    fn data(&self, element: &str, name: &str) -> String {
        let begin =
            self.document.find(element).unwrap_or_else(|| panic!("no {element} in {}", self.document));
        let tag = self.document[begin..].split('>').next().unwrap_or_default();
        let value = tag.split_once(&format!("data-{name}=\"")).and_then(|(_, rest)| rest.split('"').next());
        value.unwrap_or_else(|| panic!("no data-{name} in {tag}>; the console: {}", self.console)).to_owned()
    }

    /// A page without errors.
    fn sound(self) -> Seen {
        assert_eq!(self.data("<html", "ready"), "yes", "the console: {}", self.console);
        assert!(!self.document.contains("data-error"), "{}", self.console);
        assert!(!self.console.contains("CONSOLE"), "the console is not silent: {}", self.console);
        self
    }
}

/// The browser, or a skip that is said by name.
fn browser() -> Option<PathBuf> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let path = env::var_os("PATH")?;
    let found =
        names.iter().find_map(|name| env::split_paths(&path).map(|dir| dir.join(name)).find(|p| p.is_file()));
    if found.is_none() {
        let reason = "chromium is not installed (apt install chromium)";
        let required = env::var_os("CAIRN_REQUIRE_PROGRAMS").is_some_and(|value| value == "1");
        assert!(!required, "{reason}, and CAIRN_REQUIRE_PROGRAMS=1 allows no skip");
        let _ = writeln!(std::io::stderr(), "SKIPPED: {reason}");
    }
    found
}

/// Opens a page from disk with a fragment, lets its clock run, and reads the document.
fn open(browser: &Path, page: &str, fragment: &str) -> Seen {
    let directory = tempfile::Builder::new().prefix("cairn-page-").tempdir().expect("a temporary directory");
    let file = directory.path().join("heap page.html");
    fs::write(&file, page).expect("the page can be written");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--enable-logging=stderr", "--window-size=1400,1000"])
        .arg(format!("--user-data-dir={}", directory.path().join("profile").display()))
        .args(["--virtual-time-budget=8000", "--dump-dom"])
        .arg(format!("file://{}#{fragment}", file.display().to_string().replace(' ', "%20")))
        .stdin(Stdio::null())
        .output()
        .expect("the browser can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Seen {
        document: String::from_utf8_lossy(&output.stdout).into_owned(),
        console: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// What the page must show of a moment.
fn compare(seen: &Seen, history: &History, moment: usize) {
    let panel = format!("data-policy=\"{}\"", history.policy);
    // The panel's attributes are those of the tag around its policy's name.
    let begin =
        seen.document[..seen.document.find(&panel).expect("the panel is there")].rfind('<').expect("a tag");
    let at = Seen { document: seen.document[begin..].to_owned(), console: seen.console.clone() };
    let snapshot = history.at(moment);
    let totals = snapshot.totals();
    for (name, value) in [
        ("at", moment),
        ("extent", totals.extent),
        ("live", totals.live),
        ("used", totals.used_blocks),
        ("waste", totals.waste),
        ("free", totals.free_blocks),
        ("waiting", totals.waiting_blocks),
        ("free-bytes", totals.free_bytes),
        ("largest", totals.largest_free),
        ("blocks", snapshot.blocks.len()),
    ] {
        assert_eq!(at.data("<section", name), value.to_string(), "{}: {name} at {moment}", history.policy);
    }
    let index = snapshot.index.iter().map(|entry| entry.offset.to_string()).collect::<Vec<_>>().join(" ");
    assert_eq!(at.data("<section", "index"), index, "{}: the index at {moment}", history.policy);
    assert!(at.document.contains(&history.still(moment).words), "{}: the words at {moment}", history.policy);
}

#[test]
fn each_moment_shows_what_rust_computed() {
    let Some(browser) = browser() else { return };
    let pairs = [(Kind::List, Kind::Tree), (Kind::Waiting, Kind::Bins)];
    for (left, right) in pairs {
        let histories = [toy::history(left, 600), toy::history(right, 600)];
        let page = html(&histories, 0).expect("a page");
        for moment in [0, 1, 17, 256, 257, 600] {
            let seen = open(&browser, &page, &format!("at={moment}")).sound();
            assert_eq!(seen.data("<html", "at"), moment.to_string());
            histories.iter().for_each(|history| compare(&seen, history, moment));
        }
    }
}

#[test]
fn a_part_of_a_long_trace_plays_too() {
    let Some(browser) = browser() else { return };
    let history = toy::part(Kind::Rover, 900, 300, 700);
    let page = html(std::slice::from_ref(&history), 0).expect("a page");
    for (wish, moment) in [(0, 300), (512, 512), (9999, 700)] {
        let seen = open(&browser, &page, &format!("at={wish}")).sound();
        compare(&seen, &history, moment);
    }
}

#[test]
fn playing_reaches_the_end_and_stops() {
    let Some(browser) = browser() else { return };
    let history = toy::history(Kind::Tree, 200);
    let page = html(std::slice::from_ref(&history), 0).expect("a page");
    let seen = open(&browser, &page, "at=3&play=60").sound();
    assert_eq!(seen.data("<html", "playing"), "no", "it has stopped");
    compare(&seen, &history, 200);
}

/// Keys, buttons, slider, wheel, mouse: a script at the end of the page does what hands would do, and notes what it sees.
#[test]
fn hands_can_play_zoom_and_ask() {
    let Some(browser) = browser() else { return };
    let histories = [toy::history(Kind::List, 300), toy::history(Kind::Tree, 300)];
    let page =
        html(&histories, 0).expect("a page").replace("</body>", &format!("<script>{HANDS}</script></body>"));
    let seen = open(&browser, &page, "at=100").sound();
    let noted = seen.data("<body", "noted");
    let words: Vec<&str> = noted.split(',').map(str::trim).collect();
    assert_eq!(
        words[..9],
        [
            "right 101",
            "left 100",
            "shift 110",
            "end 300",
            "home 0",
            "slider 42",
            "next 43",
            "back 42",
            "play yes"
        ],
        "{noted}"
    );
    assert_eq!(words[9..13], ["pause no", "zoomed true", "panned true", "fitted true"], "{noted}");
    // The mouse rests on the first block of the heap, and clicks on it.
    let first = histories[0].at(42).blocks[0];
    let id = first.owner.expect("the first block is used at that moment").id;
    assert_eq!(words[13..], [format!("tip block #{id} used"), format!("followed block #{id}")], "{noted}");
    histories.iter().for_each(|history| compare(&seen, history, 42));
}

const HANDS: &str = r##"
setTimeout(() => {
  const noted = [], get = (id) => document.getElementById(id);
  const at = () => document.documentElement.dataset.at, zoom = () => Number(document.querySelector(".panel").dataset.perRow);
  const key = (name, more) => document.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, ...more }));
  const press = (name, keyName, more) => { key(keyName, more); noted.push(`${name} ${at()}`); };
  press("right", "ArrowRight"); press("left", "ArrowLeft"); press("shift", "ArrowRight", { shiftKey: true });
  press("end", "End"); press("home", "Home");
  get("slider").value = 42; get("slider").dispatchEvent(new Event("input")); noted.push(`slider ${at()}`);
  get("next").click(); noted.push(`next ${at()}`);
  get("back").click(); noted.push(`back ${at()}`);
  key(" "); noted.push(`play ${document.documentElement.dataset.playing}`);
  key(" "); noted.push(`pause ${document.documentElement.dataset.playing}`);
  const heap = document.querySelector(".heap"), box = heap.getBoundingClientRect();
  const mouse = (kind, x, y, more) => heap.dispatchEvent(
    new PointerEvent(kind, { clientX: box.left + x, clientY: box.top + y, pointerId: 1, bubbles: true, ...more }));
  heap.setPointerCapture = () => {};
  const before = zoom(), picture = () => heap.toDataURL();
  heap.dispatchEvent(new WheelEvent("wheel", { deltaY: -400, clientX: box.left + 200, clientY: box.bottom - 20, cancelable: true }));
  get("in").click(); noted.push(`zoomed ${zoom() < before}`);
  const still = picture();
  mouse("pointerdown", 200, box.height - 60, { buttons: 1 });
  mouse("pointermove", 200, box.height - 10, { buttons: 1 });
  mouse("pointerup", 200, box.height - 10);
  noted.push(`panned ${picture() !== still}`);
  get("fit").click(); noted.push(`fitted ${zoom() === before}`);
  const row = Number(heap.dataset.top);
  mouse("pointermove", 80, row + 30);
  noted.push(`tip ${get("tip").querySelector("b").textContent.replace(",", "")}`);
  mouse("pointerdown", 80, row + 30, { buttons: 1 });
  mouse("pointerup", 80, row + 30);
  noted.push(`followed ${get("followed").querySelector("b").textContent}`);
  document.body.dataset.noted = noted.join(",");
}, 1500);
"##;
