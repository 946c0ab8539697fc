"""A subject of Algonauts 2023 at its true size, simulated: images, fMRI responses, ROI masks.

python tools/simulate_algonauts.py FOLDER [--train 9841 --test 159 --lh 19004 --rh 20544 --side 425]

About 4 GB. Images are the simulated scenes, enlarged and with sensor noise so that a PNG is as large as one of a
photograph; a vertex's response is a random weighting of the image's colours at 8 x 8 places plus as much noise.
Everything follows from the seed.
"""

import argparse
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from rich.progress import track

from jaxlab.data.simulation.scenes import make_scenes

SCENE = 106  # pixels of the scenes that are enlarged
FSAVERAGE = 163_842  # vertices of a hemisphere
REGIONS = {
    "prf-visualrois": ("V1v", "V1d", "V2v", "V2d", "V3v", "V3d", "hV4"),
    "floc-bodies": ("EBA", "FBA-1", "FBA-2", "mTL-bodies"),
    "floc-faces": ("OFA", "FFA-1", "FFA-2", "mTL-faces", "aTL-faces"),
    "floc-places": ("OPA", "PPA", "RSC"),
    "floc-words": ("OWFA", "VWFA-1", "VWFA-2", "mfs-words", "mTL-words"),
    "streams": ("early", "midventral", "midlateral", "midparietal", "ventral", "lateral", "parietal"),
}
_ROWS = 512


def simulate(folder: Path, train: int, test: int, vertices: dict[str, int], side: int, seed: int) -> None:
    """Write the subject's tree into `folder`. vertices: of each hemisphere."""
    image_seed, brain_seed = np.random.SeedSequence(seed).spawn(2)
    scenes = make_scenes(train + test, SCENE, 8, image_seed).images
    numbers = np.sort(np.random.default_rng(image_seed).permutation(73_000)[: train + test])
    order = np.random.default_rng(brain_seed).permutation(train + test)  # test images are spread over all
    for split, rows in (("training", order[:train]), ("test", order[train:])):
        images = folder / f"{split}_split" / f"{split}_images"
        images.mkdir(parents=True)
        names = [
            f"{split.removesuffix('ing')}-{k + 1:04d}_nsd-{numbers[row]:05d}.png"
            for k, row in enumerate(rows)
        ]
        _write_images([images / name for name in names], scenes[rows], side)
    rng = np.random.default_rng(brain_seed)
    (folder / "training_split/training_fmri").mkdir()
    (folder / "roi_masks").mkdir()
    for hemisphere, count in vertices.items():
        path = folder / f"training_split/training_fmri/{hemisphere}_training_fmri.npy"
        _write_responses(path, scenes[order[:train]], count, rng)
        _write_masks(folder / "roi_masks", hemisphere, count, rng)
    for kind, names in REGIONS.items():
        mapping = dict(enumerate(("Unknown", *names)))
        np.save(folder / "roi_masks" / f"mapping_{kind}.npy", mapping)  # type: ignore[arg-type]


def _write_images(files: list[Path], scenes: np.ndarray, side: int) -> None:
    def write(position: int) -> None:
        large = Image.fromarray(scenes[position]).resize((side, side), Image.Resampling.BICUBIC)
        noise = np.random.default_rng(position).normal(0, 3, (side, side, 3))
        noisy = np.clip(np.asarray(large) + noise, 0, 255).round().astype(np.uint8)
        Image.fromarray(noisy).save(files[position], compress_level=3)

    with ThreadPoolExecutor() as pool:
        list(track(pool.map(write, range(len(files))), f"writing {files[0].parent.name}", len(files)))


def _write_responses(path: Path, scenes: np.ndarray, vertices: int, rng: np.random.Generator) -> None:
    """(n, vertices) float32, z-scored but for the error of a finite sample."""
    edges = np.linspace(0, SCENE, 9).astype(int)[:-1]
    pooled = np.add.reduceat(np.add.reduceat(scenes, edges, axis=1, dtype=np.float32), edges, axis=2)
    features = pooled.reshape(len(scenes), -1)
    features = ((features - features.mean(0)) / features.std(0)).astype(np.float32)
    weights = rng.standard_normal((features.shape[1], vertices), np.float32)
    spread = np.sqrt(np.einsum("it,it->t", weights, np.cov(features.T).astype(np.float32) @ weights))
    weights /= spread * np.float32(np.sqrt(2))
    shape = (len(scenes), vertices)
    responses = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
    for start in track(range(0, len(scenes), _ROWS), f"writing {path.name}"):
        some = slice(start, start + _ROWS)
        noise = rng.standard_normal((len(features[some]), vertices), np.float32)
        responses[some] = features[some] @ weights + noise * np.float32(np.sqrt(0.5))
    responses.flush()


def _write_masks(folder: Path, hemisphere: str, vertices: int, rng: np.random.Generator) -> None:
    """Regions are runs of vertices; a third of the vertices of each class belong to none."""
    marked = np.zeros(max(FSAVERAGE, vertices))
    marked[np.sort(rng.permutation(len(marked))[:vertices])] = 1
    np.save(folder / f"{hemisphere}.all-vertices_fsaverage_space.npy", marked)
    for kind, names in REGIONS.items():
        numbers = (np.arange(vertices) * len(names) * 3 // (2 * vertices) + 1) % (len(names) + 1)
        numbers[2 * vertices // 3 :] = 0
        whole = np.zeros(len(marked), int)
        whole[marked > 0] = numbers
        np.save(folder / f"{hemisphere}.{kind}_challenge_space.npy", numbers)
        np.save(folder / f"{hemisphere}.{kind}_fsaverage_space.npy", whole)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    sizes = {"train": 9841, "test": 159, "lh": 19004, "rh": 20544, "side": 425, "seed": 0}
    for option, default in sizes.items():
        parser.add_argument(f"--{option}", type=int, default=default)
    given = parser.parse_args()
    simulate(given.folder, given.train, given.test, {"lh": given.lh, "rh": given.rh}, given.side, given.seed)
