"""submit runs where JAX is not installed, and does not load it where it is; pyarrow is needed to write only."""

import subprocess
import sys

BLOCKED = """
import sys

class Refuse:
    refused = {"jax", "jaxlib", "jaxlab", "flax", "optax", "pyarrow"}

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.refused:
            raise ImportError(name + " is refused here")

if sys.argv[1] == "blocked":
    sys.meta_path.insert(0, Refuse())
import submit
import submit.__main__
assert not {"jax", "jaxlib", "jaxlab", "flax"} & set(sys.modules), "loaded"
Refuse.refused.discard("pyarrow")
submit.write(submit.Predictions(["a", "b"], [[1], [2]], ["t"]), sys.argv[2])
print(submit.score(sys.argv[2], sys.argv[2]).mean)
"""


def test_neither_jax_nor_jaxlab_is_loaded(tmp_path):
    for how in ("free", "blocked"):
        command = [sys.executable, "-c", BLOCKED, how, str(tmp_path / "x.csv")]
        done = subprocess.run(command, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert float(done.stdout) == 1
