// Two minutes of one number, as a line without axes: the number stands beside it.
import { useEffect, useRef } from 'react'
import uPlot from 'uplot'
import 'uplot/dist/uPlot.min.css'
import { useIsDark } from './theme.ts'

type Props = { times: readonly number[]; values: readonly (number | null)[]; tone?: 'accent' | 'bad' }

export function Sparkline({ times, values, tone = 'accent' }: Props) {
  const place = useRef<HTMLDivElement>(null)
  const plot = useRef<uPlot>(null)
  const isDark = useIsDark()

  // biome-ignore lint/correctness/useExhaustiveDependencies: a canvas does not follow the colours of the page by itself
  useEffect(() => {
    const element = place.current!
    const colours = getComputedStyle(element)
    const size = () => ({ width: Math.max(20, element.clientWidth), height: element.clientHeight })
    const drawn = new uPlot(
      {
        ...size(),
        class: 'spark',
        pxAlign: false,
        cursor: { show: false },
        legend: { show: false },
        axes: [{ show: false }, { show: false }],
        padding: [3, 0, 2, 0],
        scales: { x: { time: false }, y: { range: (_, __, max) => [0, Math.max(max * 1.1, 1)] } },
        series: [
          {},
          {
            stroke: colours.getPropertyValue(`--${tone}`),
            fill: colours.getPropertyValue(`--${tone}-wash`),
            width: 1.5,
            points: { show: false },
          },
        ],
      },
      [[...times], [...values]],
      element,
    )
    plot.current = drawn
    const observer = new ResizeObserver(() => drawn.setSize(size()))
    observer.observe(element)
    return () => {
      observer.disconnect()
      drawn.destroy()
      plot.current = null
    }
  }, [isDark, tone])

  useEffect(() => {
    plot.current?.setData([[...times], [...values]])
  }, [times, values])

  return <div className="sparkline" ref={place} aria-hidden="true" />
}
