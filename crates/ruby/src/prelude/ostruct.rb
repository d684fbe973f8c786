class OpenStruct
  def initialize(hash = nil)
    @table = {}
    (hash || {}).each { |key, value| @table[key.to_sym] = value }
  end

  def [](name) = @table[name.to_sym]

  def []=(name, value)
    @table[name.to_sym] = value
  end

  def to_h = @table.dup

  def each_pair(&block) = @table.each_pair(&block)

  def dig(name, *rest) = @table.dig(name.to_sym, *rest)

  def delete_field(name) = @table.delete(name.to_sym)

  def respond_to_missing?(name, all = false) = @table.key?(name.to_s.chomp("=").to_sym)

  def ==(other) = other.is_a?(OpenStruct) && to_h == other.to_h

  def inspect
    fields = @table.map { |key, value| " #{key}=#{value.inspect}" }.join(",")
    "#<OpenStruct#{fields}>"
  end

  def to_s = inspect

  def method_missing(name, *args)
    text = name.to_s
    if text.end_with?("=")
      @table[text.chomp("=").to_sym] = args.first
    else
      @table[name]
    end
  end
end
