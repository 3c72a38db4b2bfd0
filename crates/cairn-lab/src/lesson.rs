//! Short guided runs that compute everything they show.
