"""The ledger: what was judged worth an alert, and what became of telling it.

``states`` holds the two state machines as tables, ``plan`` decides what a producer's judgements do to the recorded
alerts, ``alerts`` and ``deliveries`` do it as guarded statements within a session of their caller.
"""
