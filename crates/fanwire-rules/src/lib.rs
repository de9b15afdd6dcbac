//! IoT SQL: which messages a rule takes, and what it makes of them
