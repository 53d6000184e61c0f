#!/usr/bin/env bash
# One sample of a recipe on one node, as a task of an array. Tasks may be stopped and started again at any time.
#
#   sbatch --array=1-$(xtec recipe samples RECIPE.toml | wc -l) slurm-array.sh RECIPE.toml
#
#SBATCH --job-name=xtec
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=32G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
#SBATCH --output=xtec-%A_%a.log
set -uo pipefail

recipe=${1:?usage: sbatch --array=1-N slurm-array.sh RECIPE.toml}

# Two minutes before the time is up Slurm sends TERM; xtec saves what it has done and ends with code 130.
xtec run "$recipe" --sample-index "${SLURM_ARRAY_TASK_ID:?this is a task of an array}" --resume \
  --memory-limit "$((${SLURM_MEM_PER_NODE:-32000} * 8 / 10))MB" &
child=$!
trap 'kill -TERM "$child"' TERM
wait "$child"
code=$?
if [ "$code" -gt 128 ]; then # the signal ended the wait, not the run
  wait "$child"
  code=$?
fi
if [ "$code" -eq 130 ] && [ -n "${SLURM_JOB_ID:-}" ]; then
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
