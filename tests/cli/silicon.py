"""A crystal that the engine computes in about a second."""

SILICON = """Si
1.0
0.0 2.7155 2.7155
2.7155 0.0 2.7155
2.7155 2.7155 0.0
Si
2
direct
0.0 0.0 0.0
0.25 0.25 0.25
"""
QUICK = ["--kmesh", "2,2,2", "--cutoff", "20"]
