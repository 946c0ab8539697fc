"""A Kaggle submission: checked against sample_submission.csv, every fault at once, and only then written.

The sample says which form is asked for: a column a target, a column a class (probabilities), one column of class
names, or one row for each id and target, as `img7_n3,0.5`.
"""

from submit.formats.kaggle.checking import check
from submit.formats.kaggle.sample import Sample, read_sample
from submit.formats.kaggle.writing import UNCHECKED, write

__all__ = ["UNCHECKED", "Sample", "check", "read_sample", "write"]
