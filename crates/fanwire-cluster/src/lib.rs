//! The link between nodes, over NATS.
