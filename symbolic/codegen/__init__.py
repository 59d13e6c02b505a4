"""From graphs to programs, and the interpreter that says what programs must compute."""
