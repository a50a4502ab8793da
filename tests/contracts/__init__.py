"""What the worker promises on any broker: each contract runs on the embedded broker and on Apache Kafka."""
