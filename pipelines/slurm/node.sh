#!/usr/bin/env bash
# One series on one node: all its cores, in threads. The job may be stopped and started again at any time.
#
#   sbatch pipelines/slurm/node.sh nxrefine/SrRhSn/cubic runs/cubic -k 4
#
#SBATCH --job-name=xtec
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=32
#SBATCH --mem=64G
#SBATCH --time=04:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
set -uo pipefail

input=${1:?usage: sbatch node.sh INPUT RUN [options of xtec cluster]}
run=${2:?usage: sbatch node.sh INPUT RUN [options of xtec cluster]}
shift 2

# Two minutes before the time is up Slurm sends TERM; xtec saves what it has done and ends with code 130.
xtec cluster "$input" -o "$run" --resume --workers "${SLURM_CPUS_PER_TASK:-1}" \
  --memory-limit "$((${SLURM_MEM_PER_NODE:-64000} * 8 / 10))MB" \
  ${SLURM_TMPDIR:+--scratch "$SLURM_TMPDIR"} "$@" &
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
