"""The model behind a port: an HTTP server with OpenAI's completions and lmscore's scores."""

from lmscore.serve.app import make_app
from lmscore.serve.served import Limits, Models
from lmscore.serve.server import open_socket, serve

__all__ = ["Limits", "Models", "make_app", "open_socket", "serve"]
