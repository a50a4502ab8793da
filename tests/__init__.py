"""The tests, in order of trust: core, codecs, policy, laws, scenarios, sim, integration, kafka."""
