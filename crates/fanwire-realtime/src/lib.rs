//! The realtime plane: an MQTT broker whose sessions live on the hub
