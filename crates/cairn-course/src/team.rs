//! `team`: a record that the malloc lab wants from whoever hands in a heap. Some drivers print it and refuse one without names.

use core::ffi::CStr;

/// Five strings of C: the team, and a name and an address of each of two members.
#[repr(C)]
pub struct Team {
    strings: [*const libc::c_char; 5],
}

// SAFETY: the strings are constants. A driver only reads the record.
unsafe impl Sync for Team {}

const fn team_of(strings: [&'static CStr; 5]) -> Team {
    let [name, first, first_at, second, second_at] = strings;
    Team { strings: [name.as_ptr(), first.as_ptr(), first_at.as_ptr(), second.as_ptr(), second_at.as_ptr()] }
}

/// The team. The second member is nobody.
#[unsafe(no_mangle)]
#[allow(non_upper_case_globals, reason = "the lab's name")]
pub static team: Team = team_of([c"Cairn", c"libcairn_course", c"cairn@localhost", c"", c""]);
