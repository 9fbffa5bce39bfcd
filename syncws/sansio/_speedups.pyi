from ._pycodec import FrameDecoder as FrameDecoder
from ._pycodec import apply_mask as apply_mask
from ._pycodec import encode_frame as encode_frame
from ._pycodec import encode_header as encode_header
