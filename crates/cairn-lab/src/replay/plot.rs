//! The plot of a replay: live bytes and heap extent over time.

use super::Report;

/// Draws.
///
/// # Errors
/// If it can't be drawn.
pub fn svg(_reports: &[Report]) -> Result<String, String> {
    Err("not yet".into())
}
