"""The terms: which timeouts, rules and limits a person asked for in finalizer.yaml. Typed, checked, explained.

It touches the text it is given and nothing else; a mistake in it is a problem with a line, all of them told at once.
Never a file, a clock, the environment or Kafka: who reads the file and who acts on the terms lives elsewhere.
"""
