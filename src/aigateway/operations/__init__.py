"""What vendors are asked for besides chat: other dialects, embeddings, images; one codec each, without I/O."""

from ._codec import ELSEWHERE, Codec, NativeDecoder, Peer, native_body, offered, speaks
from ._embeddings import EmbeddingsCodec
from ._images import ImagesCodec
from ._messages import MessagesCodec
from ._pictures import Image, ImageReply, ImageRequest
from ._reading import WITHHELD, nonsense, read_object
from ._responses import ResponsesCodec
from ._tell import tell
from ._usage import read_responses_usage, read_usage, usage_of
from ._vectors import EmbedReply, EmbedRequest

# The codec of each operation; a provider has those its table has a path for, or others in their place.
CODECS: dict[str, Codec] = {
    "responses": ResponsesCodec(),
    "messages": MessagesCodec(),
    "embeddings": EmbeddingsCodec(),
    "images": ImagesCodec(),
}

__all__ = [
    "CODECS", "ELSEWHERE", "WITHHELD", "Codec", "EmbedReply", "EmbedRequest", "EmbeddingsCodec", "Image", "ImageReply",
    "ImageRequest", "ImagesCodec", "MessagesCodec", "NativeDecoder", "Peer", "ResponsesCodec", "native_body",
    "nonsense", "offered", "read_object", "read_responses_usage", "read_usage", "speaks", "tell",
    "usage_of",
]  # fmt: skip  # a list of names
