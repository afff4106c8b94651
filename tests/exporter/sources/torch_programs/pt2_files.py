"""Makes .pt2 files, and changes what is in them."""

import json
import zipfile

import torch


class Small(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 4)
        self.register_buffer("shift", torch.arange(4.0))

    def forward(self, picture):
        return torch.relu(self.layer(picture)) + self.shift


def save_small(path):
    torch.manual_seed(0)
    torch.export.save(torch.export.export(Small(), (torch.ones(1, 3, 2, 4),)), path)
    return path


def rewrite(path, change):
    """Copies the archive, passing each entry through `change(inner name, data)`; None leaves it."""
    with zipfile.ZipFile(path) as archive:
        entries = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in entries:
            changed = change(name.partition("/")[2], data)
            archive.writestr(name, data if changed is None else changed)
    return path


def edit_graph(path, edit):
    """Lets `edit` change the parsed models/model.json in place."""

    def change(name, data):
        if name != "models/model.json":
            return None
        document = json.loads(data)
        edit(document)
        return json.dumps(document).encode()

    return rewrite(path, change)
