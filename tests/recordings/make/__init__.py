"""How the recordings are made: programs in environments of their own, and a stock collector to Apache Kafka."""
