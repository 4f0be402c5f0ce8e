"""The model behind a port: an HTTP server with OpenAI's completions and lmscore's scores."""

from lmscore.serve.app import make_app
from lmscore.serve.loading import load_whole
from lmscore.serve.served import Limits, Models
from lmscore.serve.server import open_socket, serve
from lmscore.serve.workers import fork_workers

__all__ = ["Limits", "Models", "fork_workers", "load_whole", "make_app", "open_socket", "serve"]
