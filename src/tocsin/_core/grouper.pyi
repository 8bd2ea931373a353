from tocsin._core.program import Program

# Driven by the pipeline, in C; Python only makes one.
class Grouper:
    def __new__(cls, program: Program) -> Grouper: ...
