//! AWS IoT policies, static users and tokens: who may publish, subscribe and receive what
