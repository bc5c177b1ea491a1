"""What a run folder says of the training that wrote it, for comparing two of them byte for byte."""
import json


def losses_of(run):
    """Of every update and validation, as written."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(line["step"], line.get("loss"), line.get("valid_loss"), line.get("gradient_norm")) for line in lines]


def trained_bytes(run):
    """Names, shapes and bytes of the adapter's tensors; what the header says beside them tells when it was written."""
    data = (run / "adapter/adapter_model.safetensors").read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    del header["__metadata__"]
    return header, data[8 + length:]
