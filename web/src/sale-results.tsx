// What came of a flash sale, by cell, as it goes: who asked, who got a unit, who was told that there is none.
import type { Sale } from '@holdfast/sdk'
import { Link } from 'wouter'
import { formatCount } from './formats.ts'
import { Meter } from './parts.tsx'

export function SaleResults({ sale }: { sale: Sale }) {
  return (
    <div className="sale-results">
      <p className="sale-sum">
        <b>{formatCount(sale.sold)}</b>
        <span>
          of {formatCount(sale.units)} units of <Link href={`/stock/${encodeURIComponent(sale.sku)}`}>{sale.sku}</Link>{' '}
          sold
        </span>
      </p>
      <Meter label="Sold" value={sale.sold} max={sale.units} isShare />
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Cell</th>
            <th scope="col" className="number">
              Asked
            </th>
            <th scope="col" className="number">
              Sold
            </th>
            <th scope="col" className="number">
              Refused
            </th>
            <th scope="col" className="number">
              Failed
            </th>
          </tr>
        </thead>
        <tbody>
          {sale.by_cell.map(({ cell, asked, sold, refused, failed }) => (
            <tr key={cell}>
              <th scope="row">{cell}</th>
              <td className="number">{formatCount(asked)}</td>
              <td className="number">
                <b>{formatCount(sold)}</b>
              </td>
              <td className="number">{formatCount(refused)}</td>
              <td className="number">{formatCount(failed)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
