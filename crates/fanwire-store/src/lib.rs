//! Ordered tables that survive a crash, in an embedded engine
