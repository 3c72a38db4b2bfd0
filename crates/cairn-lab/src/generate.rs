//! Traces of the classic shapes, made from a seed.
