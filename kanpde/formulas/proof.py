def is_proved(problem, expressions, symbols):
    return False
