#!/usr/bin/env bash
# All that waits for a GPU, within nine minutes of one: the behaviour suite, training steps in float32, bfloat16 and compiled, and
# the lines benchmark for as long as is left.
#
#     bash benchmarks/gpu.sh [FOLDER] [PYTHON]      writes suite.txt, steps.txt, lines.csv and lines.txt to FOLDER
set -uo pipefail
cd "$(dirname "$0")/.."
folder=${1:-gpu-results} python=${2:-python3}
begin=$(date +%s)
left() { echo $(( 530 - ($(date +%s) - begin) )); }
mkdir -p "$folder"
"$python" -c 'import torch; assert torch.cuda.is_available(), "no CUDA device"; print(torch.cuda.get_device_name(), torch.__version__)' \
    | tee "$folder/device.txt" || exit 1

timeout 200 "$python" -m pytest tests/test_methods.py -q -p no:cacheprovider -k cuda >"$folder/suite.txt" 2>&1
tail -n 1 "$folder/suite.txt"

timeout 150 "$python" benchmarks/steps.py --device cuda --repeats 9 --networks mnist-z16 cifar10-z16 transfer-128 ltae-256 \
    >"$folder/steps.txt" 2>&1
timeout 60 "$python" benchmarks/steps.py --device cuda --repeats 9 --compile --networks cifar10-z16 >"$folder/compiled.txt" 2>&1
cat "$folder/steps.txt" "$folder/compiled.txt"

# the paper's settings but for the larger batch of the rate that a GPU can afford; it goes on where an earlier call stopped
[ "$(left)" -gt 30 ] && timeout "$(left)" "$python" benchmarks/lines.py --preset acai-lines-cpu --steps 200000 --every 2000 --device cuda \
    --seconds "$(( $(left) - 20 ))" --out "$folder/lines" --record "$folder/lines.csv" 2>&1 | tee "$folder/lines.txt"
echo "done after $(( $(date +%s) - begin )) seconds: $folder"
