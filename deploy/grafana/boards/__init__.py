"""One module a dashboard; ``queries`` says what they ask for, ``charts`` how that is shown."""
