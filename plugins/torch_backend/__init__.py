"""The backend `torch`: the algorithms of the plugins with neural policies, on a GPU or the processor."""

from __future__ import annotations

from theorylab.errors import UsageError


class TorchBackend:
    """What `theorylab check PLUGIN --backend torch` uses; torch itself is imported when a device is asked for."""

    name = "torch"
    room = "neural"
    packages = ("torch",)

    def device(self, asked: str) -> str:
        """`auto` is the first GPU if torch sees one, else the processor."""
        from .machine import torch

        if asked == "auto":
            return "cuda" if torch.cuda.is_available() else "cpu"
        kind, _, index = asked.partition(":")
        if kind not in ("cpu", "cuda") or (index and not index.isdigit()):
            raise UsageError(f"--device {asked}: write auto, cpu, cuda or cuda:1.")
        if kind == "cuda" and not torch.cuda.is_available():
            raise UsageError(f"--device {asked}: torch {torch.__version__} sees no GPU. Use --device cpu, or auto.")
        if index and int(index) >= torch.cuda.device_count():
            raise UsageError(f"--device {asked}: torch sees {torch.cuda.device_count()} GPUs, counted from 0.")
        return asked

    def width(self, device: str) -> int:
        """Seeds that train at once, always as many: a library picks its kernels by shape, and other kernels round otherwise."""
        from .machine import width

        return width(device)

    def health(self) -> list[str]:
        """The version of torch, how it computes here, and what GPUs it sees."""
        from .machine import torch

        lines = [f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"]
        if not torch.cuda.is_available():
            return [*lines, "no GPU is seen: --device auto means cpu"]
        for k in range(torch.cuda.device_count()):
            about = torch.cuda.get_device_properties(k)
            lines.append(f"cuda:{k} is {about.name}, {about.total_memory / 2**30:.0f} GiB, CUDA {torch.version.cuda}")
        return lines


backend = TorchBackend()
