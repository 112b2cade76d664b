import { area, Shape } from './part.js'
const shapes = [new Shape('circle', 2), new Shape('square', 3), new Shape('none', 1)]
for (const shape of shapes) {
    console.log(`${shape.kind}: ${area(shape).toFixed(2)}`, shape?.size ?? 0)
}
export const total = shapes.map((s) => area(s)).reduce((a, b) => a + b, 0)
