//! What tests.
