"""A program that uses the front door: it runs, and a type checker follows it."""
import torch
from torch import nn

from nonvae import ACAI, Autoencoder, ImageSet, Model, Trainer, Training, digits, interpolate, lines_score


class Sparse(Model):
    "An autoencoder whose codes are mostly zero."
    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        z = self.encode(x)
        return {'reconstruction': (self.decode(z) - x).square().mean(), 'sparsity': z.abs().mean()}


encoder = nn.Sequential(nn.Flatten(), nn.Linear(1024, 8))
decoder = nn.Sequential(nn.Linear(8, 1024), nn.Unflatten(1, (1, 32, 32)))
train, held_out = digits()
few: ImageSet = train.subset(slice(0, 64))
settings = Training(steps=4, batch_size=8, lr=1e-3, device='cpu')
trainer = Trainer(Sparse(encoder, decoder, sparsity=.1), few, settings, held_out).fit(progress=False)
loss: float = Trainer(Autoencoder(encoder, decoder), few, settings.but(lr=1e-4)).step()['reconstruction'].item()
model: ACAI = ACAI.preset('digits', lambda_=1.)
frames: torch.Tensor = interpolate(model, held_out[:2], held_out[2:4], frames=5)
distance: float = lines_score(frames).distance
print(trainer.steps_done, loss, distance)
