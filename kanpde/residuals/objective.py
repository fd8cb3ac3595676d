r"""The residual vector of a problem, points and a model, with its loss |r|², gradient and Jacobian.

r stacks $\sqrt{w_c\, q_n}\; \mathrm{residual}_c(x_n)$ over conditions c and points n, with q the quadrature weights. A
condition on an integral has the one entry $\sqrt{w_c}\, (|R| \sum_n q_n f(x_n) - v)$.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanpde.calculus.context import Context
from kanpde.calculus.jet import JetSpace
from kanpde.domains import Points
from kanpde.errors import Code, InputError, suggest
from kanpde.models.network import Network, on_side
from kanpde.problem import Problem
from kanpde.residuals.columns import add_columns
from kanpde.residuals.engines import ENGINES, Rows, autograd
from kanpde.residuals.parameters import Trained
from kanpde.residuals.site import IntegralSite, Site, site_residuals, sites_of
from kanpde.residuals.weights import all_weights


class Objective:
    """The objective |r|² of a problem at fixed points.

    Args:
        problem: the problem, whose trained conditions are used.
        model: the network; a `Network` for ``derivatives="jets"``, any module (points, dim) -> (points, unknowns) for
            ``"autograd"``.
        points: by condition.
        weights: w_c by condition; conditions left out have weight 1.
        coefficients: the numbers trained in the place of the problem's coefficients, in their order.
        derivatives: the engine, "jets" or "autograd".
        sites: ``sites_of(problem, points)``, if already computed.
    """

    def __init__(
        self,
        problem: Problem,
        model: nn.Module,
        points: Mapping[str, Points],
        weights: Mapping[str, float] | None = None,
        coefficients: nn.Parameter | None = None,
        derivatives: str = "jets",
        sites: Sequence[Site | IntegralSite] | None = None,
    ):
        if derivatives not in ENGINES:
            raise InputError(f'Unknown derivatives "{derivatives}". {suggest(derivatives, ENGINES)}')
        if derivatives == "jets" and not isinstance(model, Network):
            raise InputError(
                f"Jets need a network of this package, got a {type(model).__name__}. Autograd works with any module.",
                write={"derivatives": "autograd"},
            )
        self.problem, self.model, self.engine = problem, model, derivatives
        self.coefficients = coefficients
        self.trained = Trained(model, coefficients)
        self.sites = sites_of(problem, points) if sites is None else sites
        self.points = points
        self.weights = all_weights([site.name for site in self.sites], weights or {})
        self._heads: dict[int, Tensor] = {}
        self._jacobian: Tensor | None = None  # reused, because allocating it costs as much as filling it

    # parameters ------------------------------------------------------------------------------------------------------
    @property
    def parameters(self) -> list[nn.Parameter]:
        """The trained parameters: the network's weights, then the problem's coefficients."""
        return self.trained.parameters

    def vector(self) -> Float[Tensor, " size"]:
        """Return a copy of all trained parameters as one vector, without the weights of removed edges."""
        return self.trained.vector()

    def assign(self, vector: Float[Tensor, " size"]) -> None:
        """Set all trained parameters."""
        self.trained.assign(vector)

    # residuals -------------------------------------------------------------------------------------------------------
    def _head(self, context: Context, space: JetSpace) -> Tensor | None:
        """Return the first layer's features at a site, cached because its points and its grid are fixed."""
        if self.engine != "jets":
            return None
        assert isinstance(self.model, Network)
        if id(context) not in self._heads:
            with torch.no_grad():
                self._heads[id(context)] = self.model.on(context.side).head(context.x, space)
        return self._heads[id(context)]

    def residuals_from(
        self, site: Site, components: Iterable[Rows], coefficients: Sequence[Tensor] | None = None
    ) -> list[Tensor]:
        """Return the condition's residuals, each (points,), from the components at the points and their images."""
        if coefficients is None:
            coefficients = [] if self.coefficients is None else list(self.coefficients.unbind(0))
        return site_residuals(site, components, coefficients)

    def rows(self, context: Context, space: JetSpace) -> Rows:
        """Return the network's components at a site's points or images."""
        if self.engine == "jets":
            assert isinstance(self.model, Network)
            return self.model.on(context.side).jet(context.x, space, self._head(context, space)).unbind(0)
        return autograd(on_side(self.model, context.side), context.x, space)

    def _scale(self, site: Site) -> Tensor:
        return (self.weights[site.name] * site.points.weight).sqrt()

    def residuals(self, site: Site | IntegralSite) -> Float[Tensor, " rows"]:
        """Return the part of r that belongs to a site; with jets it can be differentiated once only."""
        if isinstance(site, IntegralSite):
            part = site.joined([self._share(site, piece) for piece in site.pieces], self.weights[site.name])
        else:
            scale = self._scale(site)
            rows = [self.rows(context, site.space) for context in site.contexts]
            part = torch.cat([scale * r for r in self.residuals_from(site, rows)])
        if self.engine == "jets" and part.requires_grad:
            part.register_hook(_refuse_second)
        return part

    def _share(self, site: IntegralSite, piece: Site) -> Tensor:
        rows = [self.rows(context, piece.space) for context in piece.contexts]
        return site.share(piece, self.residuals_from(piece, rows)[0], self.weights[site.name])

    @property
    def size(self) -> tuple[int, int]:
        """The number of entries of r, and of trained parameters."""
        return sum(site.rows for site in self.sites), sum(self.trained.sizes())

    @torch.no_grad()
    def values(self) -> Float[Tensor, " rows"]:
        """Return r."""
        return torch.cat([self.residuals(site) for site in self.sites])

    def losses(self) -> dict[str, Tensor]:
        """Return the contribution of every condition to the loss."""
        found: dict[str, Tensor] = {}
        for site in self.sites:
            share = self.residuals(site).square().sum()
            found[site.name] = found[site.name] + share if site.name in found else share
        return found

    def loss(self) -> Tensor:
        """Return |r|².

        Raises:
            InputError: with jets, in the backward pass: it was called with ``create_graph=True``.
        """
        return torch.stack(list(self.losses().values())).sum()

    def gradient(self) -> tuple[Tensor, Float[Tensor, " size"]]:
        """Return the loss and its gradient."""
        loss = self.loss()
        return loss.detach(), self._gradient_of(loss)

    def _gradient_of(self, value: Tensor, keep_graph: bool = False) -> Float[Tensor, " size"]:
        if not value.requires_grad:  # an integrand without unknowns
            return torch.zeros_like(self.vector())
        parts = torch.autograd.grad(value, self.parameters, retain_graph=keep_graph, allow_unused=True)
        filled = [torch.zeros_like(p) if g is None else g for p, g in zip(self.parameters, parts, strict=True)]
        return self.trained.joined(filled)

    def pull_back(self, w: Float[Tensor, " rows"]) -> Float[Tensor, " size"]:
        """Return Jᵀw without storing J, piece by piece."""
        total = torch.zeros_like(self.vector())
        for site, part in zip(self.sites, w.split([site.rows for site in self.sites]), strict=True):
            total += self._gradient_of((self.residuals(site) * part).sum())
        return total

    # linearization ---------------------------------------------------------------------------------------------------
    def linearize(self) -> tuple[Float[Tensor, " rows"], Float[Tensor, "rows size"]]:
        """Return r and its Jacobian with respect to all trained parameters, valid until the next call.

        Points are independent, so one backward pass per residual gives every point's adjoints λ at the layers'
        outputs, and a layer's block is J[n, feature, out] = Σ_components F[n, feature] λ[n, out].
        """
        if self.engine != "jets":
            raise InputError(
                "This optimizer needs the assembled Jacobian, which only jets of a KAN or MLP of this package give.",
                write={"derivatives": "jets"},
                instead={"phases": Code("[Phase(LBFGS())]")},
            )
        if self._jacobian is None:
            self._jacobian = self.parameters[0].new_empty(self.size)
        parts = self.parts()
        blocks = self._jacobian.split([rows for rows, _ in parts])
        return torch.cat([fill(block) for (_, fill), block in zip(parts, blocks, strict=True)]), self._jacobian

    def parts(self) -> list[tuple[int, Callable[[Tensor], Tensor]]]:
        """Return the parts of r: the number of rows, and the function that returns them and fills their Jacobian."""
        return [(site.rows, partial(self.linearize_site, site)) for site in self.sites]

    def parts_of_jacobian(self) -> list[tuple[slice, slice]]:
        """Return rows and columns of J that cover all its entries that are not zero, fewer if parts have own networks.

        Every row belongs to one of them.
        """
        assert isinstance(self.model, Network)
        found: list[tuple[slice, slice]] = []
        sizes, end = self.trained.sizes(), 0
        for site in self.sites:
            begin, end = end, end + site.rows
            sides = site.sides
            columns = slice(0, sum(sizes))
            if len(sides) == 1 and self.coefficients is None:  # their columns are the last ones
                (side,) = sides
                first, count = self.model.first_layer(side), len(self.model.on(side).layers)
                columns = slice(sum(sizes[:first]), sum(sizes[: first + count]))
            if found and found[-1][1] == columns:
                begin = found.pop()[0].start
            found.append((slice(begin, end), columns))
        return found

    def linearize_site(
        self, site: Site | IntegralSite, jacobian: Float[Tensor, "rows size"], layers: slice = slice(None)
    ) -> Float[Tensor, " rows"]:
        """Return the part of r that belongs to a site; write its rows of the Jacobian into ``jacobian``.

        With ``layers``, only the columns of these layers are written, and none for the problem's coefficients.
        """
        assert isinstance(self.model, Network)
        jacobian.zero_()
        if isinstance(site, IntegralSite):
            return self._linearize_integral(site, jacobian, layers)
        traces = [self.model.on(c.side).trace(c.x, site.space, self._head(c, site.space)) for c in site.contexts]
        numbers = [self.model.first_layer(c.side) for c in site.contexts]  # of the layers with which traces begin
        n = len(site.points.x)
        spread = []
        if self.coefficients is not None:  # one value per point, so that the same backward pass gives their columns
            spread = [c.detach().expand(n).clone().requires_grad_() for c in self.coefficients.unbind(0)]
        outputs = (self.model.on(c.side).outputs_of(t) for c, t in zip(site.contexts, traces, strict=True))
        residuals = self.residuals_from(site, [each.unbind(0) for each in outputs], spread)
        wanted = spread if layers == slice(None) else []
        chosen = range(len(self.model.blocks))[layers]
        every = zip(numbers, traces, strict=True)
        places = [(number + i, part) for number, trace in every for i, part in enumerate(trace)]
        places = [(chosen.index(k), part) for k, part in places if k in chosen]
        parts = [part for _, part in places]
        sizes = self.trained.sizes()[: len(self.model.blocks)][layers]
        scale = self._scale(site)
        for residual, block in zip(residuals, jacobian.split(n), strict=True):
            if not residual.requires_grad:
                continue
            # the scalar form: `grad` with a tensor of outputs imports sympy the first time, which costs a second
            adjoints = torch.autograd.grad(
                (scale * residual).sum(), [*(node for _, node in parts), *wanted], retain_graph=True, allow_unused=True
            )
            columns = block.split([*sizes, len(wanted)], dim=1)
            for (k, (features, _)), adjoint in zip(places, adjoints, strict=False):
                if adjoint is not None:
                    add_columns(columns[k], features, adjoint, self.model.blocks[chosen[k]])
            for k, adjoint in enumerate(adjoints[len(parts) :]):
                if adjoint is not None:
                    columns[-1][:, k] = adjoint
        return torch.cat([scale * residual.detach() for residual in residuals])

    def _linearize_integral(self, site: IntegralSite, jacobian: Tensor, layers: slice) -> Float[Tensor, " rows"]:
        """Do `linearize_site` for an integral, whose row is the gradient of a sum over the points."""
        assert isinstance(self.model, Network)
        sizes, shares, (begin, end, _) = self.trained.sizes(), [], layers.indices(len(self.model.blocks))
        columns = slice(sum(sizes[:begin]), None if layers == slice(None) else sum(sizes[:end]))
        for piece in site.pieces:  # one after the other, because `_gradient_of` frees what a piece needs
            shares.append(self._share(site, piece))
            jacobian[0] += self._gradient_of(shares[-1])[columns]
        return site.joined(shares, self.weights[site.name]).detach()


def _refuse_second(adjoint: Tensor) -> None:
    """Refuse a gradient that is to be differentiated: the jets' own backward passes would drop parts of its graph."""
    if torch.is_grad_enabled():  # in a backward pass: create_graph=True
        raise InputError(
            "With jets the loss can be differentiated once only, but create_graph=True asks for second derivatives. "
            "For products with the Gauss-Newton matrix, use Jᵀ(Jv) with the J of `linearize`; for the Hessian's, "
            "differences of `gradient`. Automatic differentiation has derivatives of every order, more slowly.",
            write={"derivatives": "autograd"},
        )
