#!/usr/bin/env bash
# The best score measured on recordings of V4: a small network, a fine-tuned one and ridge regression on four frozen
# ones, each in folds, with shifted views, in an ensemble whose method and weights are chosen on out-of-fold predictions.
#
#     tools/v4_ensemble.sh DATA OUT [WEIGHTS [SETTING ...]]
#
# DATA: a Kaggle folder. OUT: where runs and submission.csv go; started again, it goes on where it stopped.
# WEIGHTS: where the Hugging Face hub is out of reach, a folder with lite0.pth, lite2.pth, mobilenetv2.pt and dinov2/.
# SETTING: of the fine-tuning. For 440 images, as many updates as for 900 are
#     training.epochs=32 finetune.rules.1.until_epoch=8
set -euo pipefail
data=$1 out=$2 weights=${3:-}
settings=()
for setting in "${@:4}"; do settings+=(--set "$setting"); done
tuned=() frozen=()
if [ -n "$weights" ]; then
    tuned=(--set "model.pretrained=$weights/lite0.pth")
    for network in 0/lite0.pth 1/lite2.pth 2/mobilenetv2.pt 3/dinov2; do
        frozen+=(--set "encoders.${network%%/*}.model.pretrained=$weights/${network#*/}")
    done
fi

jaxlab train configs/shallow_cnn.py --folds 5 --run "$out/small" --set data.root="$data" --set inference.tta.shift=3
jaxlab train configs/efficientnet_finetune.py --folds 5 --run "$out/tuned" --set data.root="$data" \
    --set images.filter=bicubic --set inference.tta.shift=4 "${tuned[@]}" "${settings[@]}"
jaxlab train configs/ridge_networks.py --run "$out/ridge" --set data.root="$data" "${frozen[@]}"
runs=("$out/small" "$out/tuned" "$out/ridge")
jaxlab predict "${runs[@]}"
python -m submit ensemble "${runs[@]}" --method best --truth "$data/train.csv" \
    --out "$out/submission.csv" --against "$data/sample_submission.csv"
