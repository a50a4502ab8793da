"""The client: three lines in an app, and no span is lost on the device.

It goes into other people's programs, so it stands on the standard library alone, starts threads of its own and stamps
what it sends. It never blocks the app, never raises into it, and never imports the rooms of the worker.
"""
