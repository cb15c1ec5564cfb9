"Bad input to the autoencoder and to interpolation is refused in one sentence."
import pytest
import torch

from nonvae.autoencoder import Autoencoder
from nonvae.core import NonvaeError
from nonvae.interpolation import bilinear, interpolate, save_interpolation, slerp, strip
from nonvae.networks import Decoder, Encoder


class Pixels: encode = decode = staticmethod(lambda x: x)


X = torch.zeros(3, 1, 8, 8)


@pytest.mark.parametrize('call, words', [
    (lambda: Autoencoder(Encoder(), Decoder(), latent_dropout=1.), 'latent_dropout must be'),
    (lambda: interpolate(Pixels, X, X, frames=1), 'frames must be at (least 2|most 1000)'),
    (lambda: interpolate(Pixels, X, X[:2]), 'same shape'),
    (lambda: interpolate(Pixels, X[:0], X[:0]), 'at least two images'),
    (lambda: strip(torch.zeros(2, 4, 1, 8, 8), torch.zeros(1, 4, 1, 8, 8)), 'same number of pairs'),
    (lambda: bilinear(torch.zeros(3, 2), .5, .5), 'four corners'),
    (lambda: save_interpolation('x.tiff', torch.zeros(1, 4, 1, 8, 8)), 'picture format')])
def test_refused(call, words):
    with pytest.raises(NonvaeError, match=words): call()


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64, torch.bfloat16])
def test_slerp_has_exact_ends_and_no_nan(dtype):
    a, b = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(0)).to(dtype)
    b[1], b[2], b[3], a[4] = a[1], -a[2], 0, 0
    assert torch.equal(slerp(a, b, 0), a) and torch.equal(slerp(a, b, 1), b)
    assert slerp(a, b, torch.linspace(0, 1, 6)).isfinite().all() and slerp(a, b, .5).dtype == dtype
