export class Shape { constructor(kind, size) { this.kind = kind; this.size = size } }
export function area(shape) {
  switch (shape.kind) { case 'circle': return Math.PI * shape.size ** 2; case 'square': return shape.size * shape.size; default: return 0 }
}
export function unused() { return 'never bundled' }
