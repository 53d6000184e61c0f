#!/usr/bin/env bash
# One series on several nodes: a Dask scheduler on the first, workers on all. Every node must see the files.
#
#   sbatch --nodes=4 pipelines/slurm/dask.sh nxrefine/SrRhSn/cubic runs/cubic -k 4
#
#SBATCH --job-name=xtec-dask
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=16
#SBATCH --cpus-per-task=1
#SBATCH --mem-per-cpu=4G
#SBATCH --time=04:00:00
#SBATCH --open-mode=append
set -euo pipefail

input=${1:?usage: sbatch dask.sh INPUT RUN [options of xtec cluster]}
run=${2:?usage: sbatch dask.sh INPUT RUN [options of xtec cluster]}
shift 2

address=$(mktemp -p "$PWD" "dask-${SLURM_JOB_ID:-0}-XXXX.json")
rm "$address" # the scheduler writes it when it is ready
dask scheduler --scheduler-file "$address" --no-dashboard &
scheduler=$!
trap 'kill "$scheduler" 2>/dev/null || true; rm -f "$address"' EXIT
until [ -s "$address" ]; do sleep 1; done

# A worker that dies is started again by its nanny; what it had is read once more by the others.
srun dask worker --scheduler-file "$address" --nthreads 1 --memory-limit "${SLURM_MEM_PER_CPU:-4096}MB" \
  --no-dashboard --local-directory "${SLURM_TMPDIR:-/tmp}" &

xtec cluster "$input" -o "$run" --resume --scheduler "$address" --workers "${SLURM_NTASKS:-1}" "$@"
